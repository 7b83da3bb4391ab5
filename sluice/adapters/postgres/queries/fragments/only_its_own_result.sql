-- A job that a newer version of its kind runs gives no result for the version it was accepted for.
fingerprint = case when not wanted.older then fingerprint end, flight = flight and not wanted.older
