"""What `image.thumbnail` is made of: base64 as people send it, opening untrusted bytes, and colours."""
