-- Resume a lane. Returns nothing if it was not paused.
-- $1: the lane.
delete from lanes where name = $1 and paused_at is not null returning name
