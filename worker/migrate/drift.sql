-- How the database stands to the rooms that were applied last: whether they are those of the hash given, whether they stand on
-- the same tables and extensions, and what somebody altered or dropped since.
select v.sha256 = %s, v.facts = (
{facts}
), array(
  select was.kind || ' ' || was.identity
  from bilag_internal.verb_objects was
  left join (
{objects}
  ) o using (kind, identity)
  where was.state is distinct from o.state
  order by 1
)
from bilag_internal.verbs v order by v.id desc limit 1
