-- Sync commits: whatever the server is told later, COMMIT answers this session only after the log is on disk.
select set_config('synchronous_commit', 'on', false)
