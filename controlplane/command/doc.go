package command

//go:generate go tool msgp -o gen.go -tests=false -io=false -file .
