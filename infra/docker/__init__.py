"""The product in containers: its image, what docker-compose.yml gives to the servers, and the trial of both."""
