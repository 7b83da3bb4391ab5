"""`make check-infra`: what can be said of the files in infra/ and of the workflows without running them."""
