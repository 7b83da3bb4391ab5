-- What of `waiting` a consumer may run. $3: kinds; $5: their versions.
(select waiting.*, version < newest as older
 from waiting join unnest($3::text[], $5::int[]) as known(kind, newest) using (kind) where version <= newest) as waiting
