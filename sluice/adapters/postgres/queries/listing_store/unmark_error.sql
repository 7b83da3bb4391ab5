-- Take the mark away. $1: tenant; $2: fingerprint.
delete from error_marks where tenant = $1 and fingerprint = $2
