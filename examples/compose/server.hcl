# The server of the composed mesh. Its data is in a volume, so that it outlives the container.
node_name        = "server"
server           = true
bootstrap_expect = 1
data_dir         = "/data"
client_addr      = "0.0.0.0"
domain           = "consul"
