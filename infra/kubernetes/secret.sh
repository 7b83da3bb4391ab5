#!/bin/sh
# Prints the Secret that the try-out servers and Sluice read, with passwords that nobody else has:
#   infra/kubernetes/secret.sh | kubectl -n sluice-dev create -f -
# `create` refuses to replace one that is there: servers keep the passwords with which their volumes were made.
set -eu

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
postgres=$(random)
redis=$(random)
rabbitmq=$(random)

cat <<END
apiVersion: v1
kind: Secret
metadata: {name: sluice}
type: Opaque
stringData:
  POSTGRES_PASSWORD: "$postgres"
  REDIS_PASSWORD: "$redis"
  RABBITMQ_PASSWORD: "$rabbitmq"
  SLUICE_POSTGRES_URL: postgresql://sluice:$postgres@postgres:5432/sluice
  SLUICE_REDIS_URL: redis://:$redis@redis:6379/0
  SLUICE_RABBITMQ_URL: amqp://sluice:$rabbitmq@rabbitmq:5672/
  SLUICE_KEY_PEPPER: "$(random)"
END
