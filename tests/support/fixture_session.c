/* tests/support/fixture_session.c - see fixture_session.h. */
