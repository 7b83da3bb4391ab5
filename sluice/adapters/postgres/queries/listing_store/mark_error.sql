-- Mark the failures with this fingerprint from now on. $1: tenant; $2: fingerprint; $3: the mark.
insert into error_marks (tenant, fingerprint, mark) values ($1, $2, $3)
on conflict (tenant, fingerprint) do update set mark = excluded.mark, at = excluded.at
