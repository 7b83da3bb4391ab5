-- Whether an `endpoint` asks for an ending that was `found`.
'job.' || found.state = any(endpoint.events) and (endpoint.kinds = '{}' or found.kind = any(endpoint.kinds))
       and (endpoint.tags = '{}' or endpoint.tags && string_to_array(found.tags, E'\x1f'))
