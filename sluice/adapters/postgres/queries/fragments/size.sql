-- How many bytes a job holds, with all it has.
coalesce(octet_length(result), 0)
               + coalesce((select octet_length(input) from inputs where inputs.id = jobs.id), 0)
               + (select count(*) * 26843 + coalesce(sum(coalesce(octet_length(error), 0) + coalesce(octet_length(traceback), 0)), 0)
                  from attempts where job_id = jobs.id)
               + (select coalesce(sum(octet_length(lines)), 0) from logs where job_id = jobs.id)
