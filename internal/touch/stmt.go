package touch

import (
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
