-- Why a lane is paused, and by which key. A lane without a row is not paused.
-- The previous release reads neither: its consumers do not pull from a paused lane, but take what RabbitMQ brings.
alter table lanes add column reason text not null default '', add column paused_by text not null default '';
