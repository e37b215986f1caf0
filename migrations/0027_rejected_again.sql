-- A rejected claim is tried again after a change of a setting, too, also of one that only its adapter reads.
comment on column bilag.export_items.content_sha256 is
  'Of the voucher without reference and number, and of the settings that only the adapter reads: what must change for a rejected claim to be tried again.';
