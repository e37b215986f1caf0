-- Who asks whether work is left counts the lanes that workers hold, and not those of every tenant. By who leased it and not until when:
-- that stays as it is while a lease is prolonged, whose row then needs no new entry in any index.
create index export_lanes_leased on bilag.export_lanes (integration_id) where leased_by is not null;
