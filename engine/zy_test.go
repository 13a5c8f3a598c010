package engine
import ("sort";"fmt")
func slicesSort(s []string) { sort.Strings(s) }
func sprint(v any) string { return fmt.Sprint(v) }
