package machine

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// NewVersionCommand returns the command "eyelet version".
func NewVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and its libraries",
		Example: `  eyelet version
  eyelet version --json`,
		Args: cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := cli.ReadVersions()
			return cli.Print(cmd, cli.BoolFlag(cmd, "json"), v, func(w *strings.Builder) {
				for _, row := range [][2]string{
					{"eyelet", v.Eyelet}, {"go", v.Go}, {"platform", v.Platform},
					{"libllama", v.Llama}, {"libggml", v.GGML}, {"libmtmd", v.MTMD},
					{"onednn", v.OneDNN}, {"accelerator", v.Accelerator},
					{"libjpeg-turbo", cmp.Or(v.JPEG,
						"none; JPEG files are decoded by Go's library")},
				} {
					fmt.Fprintf(w, "%-15s%s\n", row[0], row[1])
				}
			})
		},
	}
	cmd.Flags().Bool("json", false, "print one JSON object")
	return cmd
}
