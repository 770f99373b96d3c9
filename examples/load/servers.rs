//! Servers that `load compare` starts: where they come from, and that they end with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);
const REST: Duration = Duration::from_millis(20);

/// The versions that are compared.
const MOTO: &str = "moto[server]==5.2.5";
/// This crate's binary calls itself 1.5.0: crate and product count apart.
const DYNOXIDE: [&str; 3] = ["dynoxide-rs", "--version", "3.2.0"];

/// Who can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Emulator,
    /// This program, as `serve-static`.
    Static,
    Moto,
    Dynoxide,
}

impl Server {
    /// What it is called in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emulator => "streamcore emulator",
            Self::Static => "static server",
            Self::Moto => "moto 5.2.5",
            Self::Dynoxide => "dynoxide 1.5.0 (crate 3.2.0)",
        }
    }

    /// Whether others made it.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Moto | Self::Dynoxide)
    }
}

/// Programs that can be started.
pub struct Programs {
    pub emulator: PathBuf,
    pub this: PathBuf,
    /// Peers are kept here.
    pub folder: PathBuf,
    /// What the static server is told beside its port.
    pub captured: Vec<String>,
}

/// What came of looking for a peer.
pub enum Found {
    Ready,
    /// Why it is left out.
    Missing(String),
}

impl Programs {
    /// Gets a server if it is not there: those that others made from their registries.
    pub async fn get(&self, server: Server) -> Found {
        let program = self.program(server);
        if !program.exists() {
            let got = match server {
                Server::Moto => self.get_moto().await,
                Server::Dynoxide => self.get_dynoxide().await,
                Server::Emulator => {
                    Err("build it first: cargo build --release --bin emulator".to_owned())
                }
                Server::Static => Ok(()),
            };
            if let Err(why) = got {
                return Found::Missing(why);
            }
        }
        Found::Ready
    }

    async fn get_moto(&self) -> Result<(), String> {
        let folder = self.folder.join("moto");
        done(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
        done(Command::new(folder.join("bin/pip")).args(["install", "--quiet", MOTO])).await
    }

    async fn get_dynoxide(&self) -> Result<(), String> {
        let mut cargo = Command::new("cargo");
        cargo.arg("install").args(DYNOXIDE).args(["--locked", "--no-default-features"]);
        cargo.args(["--features", "native-sqlite,http-server,cli", "--root"]);
        done(cargo.arg(self.folder.join("dynoxide"))).await
    }

    fn program(&self, server: Server) -> PathBuf {
        match server {
            Server::Emulator => self.emulator.clone(),
            Server::Static => self.this.clone(),
            Server::Moto => self.folder.join("moto/bin/moto_server"),
            Server::Dynoxide => self.folder.join("dynoxide/bin/dynoxide"),
        }
    }

    /// Starts a server, and waits until it listens.
    ///
    /// # Errors
    ///
    /// It does not start, ends at once, or does not listen.
    pub async fn start(&self, server: Server) -> Result<Running, String> {
        let port = free_port().await?;
        let mut command = Command::new(self.program(server));
        match server {
            Server::Static => command.arg("serve-static").args(&self.captured).arg("--port"),
            Server::Moto => command.args(["-H", "127.0.0.1", "-p"]),
            Server::Emulator | Server::Dynoxide => command.arg("--port"),
        };
        command.arg(port.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", server.name());
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = child.try_wait().map_err(|error| failed(&error))? {
                return Err(failed(&format_args!("it ended at once, {status}")));
            }
            if began.elapsed() > PATIENCE {
                return Err(failed(&format_args!("it does not listen after {PATIENCE:?}")));
            }
            sleep(REST).await;
        }
        Ok(Running { child, endpoint: format!("http://127.0.0.1:{port}") })
    }
}

/// A server that was started here. It ends when this is dropped.
pub struct Running {
    child: Child,
    pub endpoint: String,
}

impl Running {
    /// Ends it, and waits until it has.
    pub async fn stop(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

async fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

async fn done(command: &mut Command) -> Result<(), String> {
    let what = format!("{:?}", command.as_std());
    let status = command.status().await.map_err(|error| format!("{what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}")) }
}

/// Where the emulator is built, seen from an example of the same profile.
pub fn emulator_beside(this: &Path) -> PathBuf {
    this.ancestors().nth(2).unwrap_or(Path::new(".")).join("emulator")
}
