-- The version of a job's kind that this consumer has, null if it does not know the kind. $3: kinds; $5: their versions.
($5::int[])[array_position($3::text[], jobs.kind)]
