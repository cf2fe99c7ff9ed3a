fn main() { print!("{}", bobsync::api::crds_yaml().unwrap()); }
