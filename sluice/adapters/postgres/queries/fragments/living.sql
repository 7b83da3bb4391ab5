-- Whether a consumer lives: a check allows for one that is just being restarted.
lease_until > clock_timestamp()
