-- List every API key, newest first.
select :listed_key from api_keys order by created_at desc, key_id
