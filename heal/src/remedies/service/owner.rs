//! Who holds a port on this machine, and which unit of systemd that is (proc_pid_net(5), cgroups(7)).

use std::fs;

use super::manager::Way;

/// The state of a socket that listens, in /proc/net/tcp.
const LISTENS: &str = "0A";

/// The process that listens at a port; none where nobody does, or it is not ours to see.
pub(super) fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes: Vec<String> = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(|line| inode(line, port)).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| !inodes.is_empty() && has_socket(*pid, &inodes))
}

/// The unit that the listener at a port belongs to.
pub(super) fn unit(port: u16) -> Option<Way> {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", listener(port)?)).ok()?;
    unit_of(&groups)
}

fn unit_of(groups: &str) -> Option<Way> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let unit = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    let way = if unit.starts_with("user@") {
        return None;
    } else if path.contains("/user@") {
        Way::SystemdUser(unit.to_owned())
    } else {
        Way::Systemd(unit.to_owned())
    };
    way.check().ok().map(|()| way)
}

/// The inode of a socket that listens at a port.
fn inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let at = fields.get(1)?.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok())?;
    (at == port && *fields.get(3)? == LISTENS).then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
}

fn has_socket(pid: u32, inodes: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    links.any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_listener_at_a_port_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
        drop(socket);
        assert_eq!(listener(port), None);
    }

    #[test]
    fn units_of_the_system_and_of_a_user_are_told_apart() {
        let of = |path: &str| unit_of(&format!("0::{path}\n"));
        assert_eq!(of("/system.slice/api.service"), Some(Way::Systemd("api.service".to_owned())));
        let user = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(of(&format!("{user}/app.slice/mcp.service")), Some(Way::SystemdUser("mcp.service".to_owned())));
        assert_eq!(of(user), None);
        assert_eq!(of("/user.slice/user-1000.slice/session-3.scope"), None);
    }
}
