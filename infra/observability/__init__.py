"""What watches Sluice: Prometheus, Alertmanager, Grafana, Loki and Vector, and the program that writes the dashboards."""
