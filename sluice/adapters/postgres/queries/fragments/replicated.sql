-- True, once every standby for which COMMIT waits has what is read here: the statement then commits something itself. A commit that was
-- cancelled while it waited is there for all to see, but might be lost: it must not be what a 202 rests on.
case when current_setting('synchronous_standby_names') = '' then true
     else pg_logical_emit_message(true, 'sluice', ''::text) is not null end
