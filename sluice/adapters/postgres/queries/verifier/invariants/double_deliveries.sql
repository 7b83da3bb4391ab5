-- Two deliveries of the ending of one job to one endpoint: it was told twice, under two ids, and cannot know that.
-- Do: report it, with the rows of both; delete the newer one if it is still to be sent.
select job_id::text || ' to ' || endpoint
from ((select endpoint, job_id from webhook_deliveries where done_at is not null order by created_at desc limit :newest)
      union all
      (select endpoint, job_id from webhook_deliveries where due is not null order by due limit :newest)) as told
where job_id is not null
group by endpoint, job_id having count(*) > 1
