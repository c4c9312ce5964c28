//! The C interface: its header, its symbols, and programs in C that use it.

mod header;
