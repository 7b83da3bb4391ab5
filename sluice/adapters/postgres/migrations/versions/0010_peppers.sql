-- Which pepper something was made with: its id, of which the pepper cannot be recovered. Null: before this release, or by a process of the
-- previous one, which goes on as before and does not know the columns.
alter table api_keys add column pepper_id text;

alter table webhook_endpoints
    add column pepper_id     text,                        -- of its secret
    add column old_pepper_id text;                        -- of the secret before, which signs as well until old_until
