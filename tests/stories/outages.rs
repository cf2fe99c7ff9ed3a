//! The API server fails, for a while or for one request: the controller converges, and nothing is written twice.
