-- A job whose version is too low for the number of its claims: a client may hold a document that is newer than the record.
-- Do: raise version above fence; check whether the database was restored in part.
select id::text from :recent_jobs where version <= fence
