package site

import "flag"

// Script is a library that pages load from a CDN. Browsers refuse it if the file
// at the URL has another hash; "" accepts any file.
type Script struct{ URL, Hash string }

var _ flag.Value = (*Script)(nil)

// String returns the URL, which -help prints as the default.
func (s *Script) String() string { return s.URL }

// Set replaces the script by a file whose hash nobody knows.
func (s *Script) Set(url string) error {
	*s = Script{URL: url}
	return nil
}
