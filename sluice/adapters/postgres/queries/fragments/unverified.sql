-- Why an endpoint that is to be verified is disabled.
'its URL is not verified'
