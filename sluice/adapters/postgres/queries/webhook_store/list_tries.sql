-- List the deliveries of an endpoint, newest first.
-- $1: tenant; $2: id of the endpoint; $3: the id of the delivery to begin after (null: none); $4: the most to return.
select id::text, job_id::text, event,
       case when failed then 'failed' when done_at is not null then 'delivered' when taken_until > now() then 'sending' else 'waiting' end as state,
       tries, created_at, tried_at, case when done_at is null then due end as due, status, outcome, answer
from webhook_deliveries
where endpoint = $2::uuid and tenant = $1
  and (created_at, webhook_deliveries.id) < (
      coalesce((select last.created_at from webhook_deliveries as last where last.id = $3::uuid and last.endpoint = $2::uuid), 'infinity'),
      coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by created_at desc, webhook_deliveries.id desc
limit $4::int
