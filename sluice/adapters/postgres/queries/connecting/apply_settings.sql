-- Give the session these settings, as far as it has not got them from its role.
-- $1: names, $2: values.
select set_config(name, value, false)
from unnest($1::text[], $2::text[]) as wanted (name, value)
where current_setting(name) <> value
