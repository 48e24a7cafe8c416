# The agent on db's host.
node_name  = "db-host"
data_dir   = "/data"
retry_join = ["server"]
retry_interval = "1s"

service {
  name  = "db"
  port  = 9003
  check {
    tcp      = "127.0.0.1:9003"
    interval = "1s"
  }
  connect {
    sidecar_service {}
  }
}
