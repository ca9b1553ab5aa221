use super::*;

fn read(text: &str) -> Address {
    Address::read(&StoreUrl::new(text), "").unwrap()
}

#[test]
fn addresses_of_both_forms_are_read_with_what_pgx_and_libpq_add() {
    for text in [
        "postgres://u:p@h:5433/d?sslmode=disable&TimeZone=Asia%2FShanghai&search_path=a%20b&connect_timeout=3",
        "host=h port=5433 user=u password=p dbname=d sslmode=disable TimeZone=Asia/Shanghai search_path='a b' connect_timeout=3",
    ] {
        let Address { config, tls } = read(text);
        assert!(tls.is_none(), "{text}");
        assert_eq!(config.get_hosts(), [Host::Tcp("h".to_owned())]);
        assert_eq!(
            (config.get_ports(), config.get_user(), config.get_dbname()),
            (&[5433][..], Some("u"), Some("d"))
        );
        assert_eq!(config.get_password(), Some(&b"p"[..]));
        assert_eq!(config.get_options(), Some(r"-c TimeZone=Asia/Shanghai -c search_path=a\ b"));
        assert_eq!(config.get_connect_timeout(), Some(&std::time::Duration::from_secs(3)));
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
    }
    let named = |text: &str, database: &str| {
        Address::read(&StoreUrl::new(text), database).unwrap().config.get_dbname().map(str::to_owned)
    };
    assert_eq!(named("host=h", "kubevela").as_deref(), Some("kubevela"));
    assert_eq!(named("postgres://h/own", "kubevela").as_deref(), Some("own"));
    assert_eq!(read("postgres://h").config.get_application_name(), Some("cluster-gateway"));
}

#[test]
fn sslmode_is_as_strict_as_in_libpq() {
    for (mode, expected) in
        [("prefer", SslMode::Prefer), ("require", SslMode::Require), ("verify-full", SslMode::Require)]
    {
        let Address { config, tls } = read(&format!("host=localhost sslmode={mode}"));
        assert!(tls.is_some());
        assert_eq!(config.get_ssl_mode(), expected);
    }
    assert_eq!(read("host=localhost").config.get_ssl_mode(), SslMode::Prefer);
    for (text, words) in [
        ("host=h sslmode=none", "sslmode=none is none of"),
        ("host=h sslcert=/x", "sslcert and sslkey belong together"),
        ("host=h sslpassword=x", "sslpassword"),
        ("host=h bad.key=x", "it is neither"),
        ("postgres://h?x", "key=value"),
        ("postgres://h?%20=x", "no word"),
    ] {
        let error = Address::read(&StoreUrl::new(text), "").unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}
