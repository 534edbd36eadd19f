// Package warm runs package warmup by the settings in a file.
package warm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/seed4a306b22/keepalive/warmup"
)

// Run fetches the targets of the settings in a JSON file until ctx ends, and logs
// each request. Each value of reload lets it read the file again; if that is wrong
// the old settings go on. The error is about the file as it was at the start.
func Run(ctx context.Context, file string, log io.Writer, reload <-chan os.Signal) error {
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	settings, err := read(file)
	if err != nil {
		return err
	}
	pinger, err := warmup.New(warmup.Config{Settings: settings, Logger: logger})
	if err != nil {
		return inFile(file, err)
	}
	logger.Info("warmup: started", "config", file)
	defer logger.Info("warmup: ended")
	done := make(chan error, 1)
	go func() { done <- pinger.Run(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case <-reload:
			settings, err := read(file)
			if err == nil {
				err = pinger.Reload(settings)
			}
			if err != nil {
				logger.Error("warmup: the new settings are wrong, the old ones go on", "config", file, "error", err)
			} else {
				logger.Info("warmup: new settings", "config", file)
			}
		}
	}
}

// read reads settings. Its error names the file, and the line where it can.
func read(file string) (s warmup.Settings, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(text, &s)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + strings.Count(string(text[:min(syntax.Offset, int64(len(text)))]), "\n")
		err = fmt.Errorf("line %d: %w", line, err)
	}
	return s, inFile(file, err)
}

func inFile(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", file, err)
}
