//! Parses the command line and runs the command.

fn main() -> std::process::ExitCode {
    match bobsync::cli::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bobsync: {message}");
            std::process::ExitCode::FAILURE
        }
    }
}
