//! Both servers over loopback connections.
