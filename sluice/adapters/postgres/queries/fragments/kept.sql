-- How many bytes of input and result a job keeps: read from its row and from that of a long input, not from what is stored out of line.
coalesce(octet_length(input), (select octet_length(input) from inputs where inputs.id = jobs.id), 0) + coalesce(octet_length(result), 0)
