-- The bulk act of a `step`, locked; nothing if somebody has taken another step since its `version`, or it takes none by itself.
gate as materialized (
    select * from bulk_acts
    where id = (select act from step) and version = (select version from step) and next_at is not null
    for update skip locked
)
