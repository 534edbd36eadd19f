package touch

import (
	"cmp"
	"context"
	"database/sql"
	"sync"
)

// Statements keeps statements prepared for as long as a database handle is open:
// preparing one for each call costs a round trip, or its compilation. It is safe
// for concurrent use.
type Statements struct {
	db     *sql.DB
	mu     sync.Mutex
	byText map[string]*sql.Stmt
}

// NewStatements returns the statements of a database handle, which stays the
// caller's.
func NewStatements(db *sql.DB) *Statements {
	return &Statements{db: db, byText: make(map[string]*sql.Stmt)}
}

// Prepare returns a statement. It must not be closed.
func (s *Statements) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	stmt := s.byText[query]
	s.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.byText[query]; first != nil {
		_ = stmt.Close() // another call was faster
		return first, nil
	}
	s.byText[query] = stmt
	return stmt, nil
}

// ReadRow reads the only row, to its end: an UPDATE that returns one may fail behind
// it. It returns sql.ErrNoRows if there is none, and closes rows.
func ReadRow(rows *sql.Rows, to []any) error {
	defer rows.Close()
	if !rows.Next() {
		return cmp.Or(rows.Err(), sql.ErrNoRows)
	}
	if err := rows.Scan(to...); err != nil {
		return err
	}
	rows.Next()
	return rows.Err()
}

// QueryAll returns the data that a statement finds by the sessions' tokens.
func QueryAll(ctx context.Context, stmt *sql.Stmt) (map[string][]byte, error) {
	rows, err := stmt.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string][]byte)
	for rows.Next() {
		var token string
		var data []byte
		if err := rows.Scan(&token, &data); err != nil {
			return nil, err
		}
		all[token] = data
	}
	return all, rows.Err()
}
