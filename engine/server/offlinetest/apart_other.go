//go:build !linux

package offlinetest

func runApart() (why string) { return "network namespaces are Linux's" }
