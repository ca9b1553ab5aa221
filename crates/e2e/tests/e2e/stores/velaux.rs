//! What VelaUX (Go) has written is found, and what is written here is as VelaUX writes it.
//!
//! The documents are those of `pkg/server/infrastructure/datastore` of kubevela/velaux at 1527785.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use cluster_gateway::manage::store::{Expect, Record, Status, StoreError, StoreType};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Value, json};
use time::macros::datetime;

use super::{Place, changed, exists, is, missing, open, refused, run};

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\nusers: [{name: u, user: {token: hunter2}}]\n";

/// The model as Go's encoding/json writes it.
fn model(name: &str) -> Value {
    json!({
        "createTime": "2023-04-05T06:07:08.123456789+08:00", "updateTime": "2023-04-05T06:07:09.5+08:00",
        "name": name, "alias": "Prod", "description": "of VelaUX", "icon": "", "labels": {"env": "prod"},
        "status": "Unhealthy", "reason": "no", "provider": {"provider": "", "clusterID": "", "labels": null},
        "apiServerURL": "https://1.2.3.4:6443", "dashboardURL": "", "kubeConfig": KUBECONFIG, "kubeConfigSecret": "",
        "later": [1],
    })
}

fn is_velaux(record: &Record, name: &str) -> Result<()> {
    let wanted = Record {
        create_time: record.create_time,
        update_time: record.update_time,
        alias: "Prod".to_owned(),
        description: "of VelaUX".to_owned(),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        status: Status::Unhealthy,
        reason: "no".to_owned(),
        api_server_url: "https://1.2.3.4:6443".to_owned(),
        kube_config: record.kube_config.clone(),
        ..Record::new(name)
    };
    ensure!(*record == wanted, "{record:?}");
    ensure!(record.kube_config.expose() == KUBECONFIG);
    let (date, milliseconds) =
        (record.create_time.to_offset(time::UtcOffset::UTC), record.create_time.millisecond());
    ensure!(date.date() == datetime!(2023-04-04 0:00 UTC).date() && milliseconds == 123, "{date}");
    Ok(())
}

struct ConfigMaps {
    api: Api<ConfigMap>,
    namespace: String,
}

impl ConfigMaps {
    async fn of(place: &Place, make: bool) -> Result<Self> {
        let client = place.hub().await?.context("a hub")?;
        if make {
            let metadata = ObjectMeta { name: Some(place.database.clone()), ..ObjectMeta::default() };
            let namespace = Namespace { metadata, ..Namespace::default() };
            Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        }
        Ok(Self { api: Api::namespaced(client, &place.database), namespace: place.database.clone() })
    }

    async fn make(&self, object: &str, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config_map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(object.to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            binary_data: Some([("data".to_owned(), ByteString(serde_json::to_vec(&model(name))?))].into()),
            ..ConfigMap::default()
        };
        self.api.create(&PostParams::default(), &config_map).await.map(drop).context("create a ConfigMap")
    }

    async fn data(&self, object: &str) -> Result<Value> {
        let config_map = self.api.get(object).await?;
        let data = config_map.binary_data.context("binaryData")?;
        serde_json::from_slice(&data.get("data").context("data")?.0).context("JSON")
    }
}

#[test]
fn config_maps_of_velaux_are_read_and_written_as_it_does() -> Result<()> {
    run(Place::new(StoreType::KubeApi), async |place| {
        let of_velaux = ConfigMaps::of(&place, true).await?;
        let labels = [("table", "vela_cluster"), ("primaryKey", "prod"), ("name", "prod")];
        of_velaux.make("cls-prod", "prod", &[&labels[..], &[("mine", "kept")]].concat()).await?;
        let store = open(&place).await?;
        let found = store.get("prod").await?;
        is_velaux(&found, "prod")?;
        ensure!(store.list().await?.records == std::slice::from_ref(&found));
        is(store.add(Record::new("prod")).await, exists)?;

        let seen = found.update_time;
        store.put(Record { alias: "Ours".to_owned(), ..found.clone() }, Expect::UpdatedAt(seen)).await?;
        is(store.put(found, Expect::UpdatedAt(seen)).await, changed)?;
        let data = of_velaux.data("cls-prod").await?;
        ensure!(data["kubeConfig"] == "" && data["alias"] == "Ours" && data["later"] == json!([1]), "{data}");
        ensure!(!data.to_string().contains("hunter2"));
        let kept = of_velaux.api.get("cls-prod").await?.metadata.labels.context("labels")?;
        ensure!(
            kept.get("mine").is_some_and(|value| value == "kept") && kept["table"] == "vela_cluster",
            "{kept:?}"
        );

        // Ours, as VelaUX looks for them: by the object's name, and by labels.
        store.add(Record { alias: "New".to_owned(), ..Record::new("new") }).await?;
        let data = of_velaux.data("cls-new").await?;
        ensure!(data["name"] == "new" && data["alias"] == "New" && data["labels"].is_null(), "{data}");
        let selector = "table=vela_cluster,!db.oam.dev/migrated,primaryKey=new,name=new";
        let listed = of_velaux.api.list(&ListParams::default().labels(selector)).await?;
        ensure!(listed.items.len() == 1);

        // What is not ours is not touched, and what is broken hides nothing else.
        let foreign = ConfigMap {
            metadata: ObjectMeta { name: Some("cls-foreign".to_owned()), ..ObjectMeta::default() },
            data: Some([("important".to_owned(), "yes".to_owned())].into()),
            ..ConfigMap::default()
        };
        of_velaux.api.create(&PostParams::default(), &foreign).await?;
        is(store.get("foreign").await, missing)?;
        is(store.put(Record::new("foreign"), Expect::Any).await, missing)?;
        is(store.delete("foreign").await, missing)?;
        let error = is(store.add(Record::new("foreign")).await, refused)?.to_string();
        ensure!(
            error.contains(&format!("ConfigMap {}/cls-foreign is in the way", of_velaux.namespace)),
            "{error}"
        );
        ensure!(of_velaux.api.get("cls-foreign").await?.data == foreign.data);

        let mut broken = of_velaux.api.get("cls-new").await?;
        broken.binary_data = Some([("data".to_owned(), ByteString(b"{\"alias\":\"hunter2".to_vec()))].into());
        of_velaux.api.replace("cls-new", &PostParams::default(), &broken).await?;
        is(store.get("new").await, |error| matches!(error, StoreError::Unreadable { .. }))?;
        let listing = store.list().await?;
        ensure!(listing.records.len() == 1 && listing.unreadable.len() == 1, "{listing:?}");
        ensure!(
            listing.unreadable[0].name == "new" && !format!("{listing:?}").contains("ter2"),
            "{listing:?}"
        );
        store.put(Record::new("new"), Expect::Any).await?;
        ensure!(store.list().await?.records.len() == 2, "writing it has mended it");
        Ok(())
    })
}

#[test]
fn config_maps_of_old_names_are_moved_whenever_that_was_broken_off() -> Result<()> {
    run(Place::new(StoreType::KubeApi), async |place| {
        let of_velaux = ConfigMaps::of(&place, true).await?;
        for name in ["one", "two", "three"] {
            let labels = [("table", "vela_cluster"), ("primaryKey", name), ("name", name)];
            of_velaux.make(&format!("veladatabase-vela-cluster-{name}"), name, &labels).await?;
        }
        // Broken off after the first copy: it has been changed since.
        let labels = [("table", "vela_cluster"), ("primaryKey", "one"), ("name", "one")];
        of_velaux.make("cls-one", "one", &labels).await?;
        let mut newer = of_velaux.api.get("cls-one").await?;
        let mut data = model("one");
        data["alias"] = json!("newer");
        newer.binary_data = Some([("data".to_owned(), ByteString(serde_json::to_vec(&data)?))].into());
        of_velaux.api.replace("cls-one", &PostParams::default(), &newer).await?;

        let stores = [open(&place).await?, open(&place).await?];
        let (first, second) = tokio::join!(stores[0].list(), stores[1].list());
        for listing in [first?, second?, stores[0].list().await?] {
            let names: Vec<_> = listing.records.iter().map(|record| record.name.as_str()).collect();
            ensure!(names == ["one", "three", "two"], "{names:?}");
            ensure!(listing.records[0].alias == "newer");
        }
        for name in ["one", "two", "three"] {
            let object = format!("veladatabase-vela-cluster-{name}");
            let old = of_velaux.api.get(&object).await?;
            ensure!(old.metadata.labels.context("labels")?["db.oam.dev/migrated"] == "ok");
            ensure!(!of_velaux.data(&object).await?.to_string().contains("hunter2"), "{name}");
        }
        ensure!(
            !of_velaux.data("cls-two").await?.to_string().contains("hunter2"),
            "what is written is clean"
        );
        stores[0].delete("two").await?;
        ensure!(open(&place).await?.list().await?.records.len() == 2, "it does not come back");

        // An old release that is still at work.
        let labels = [("table", "vela_cluster"), ("primaryKey", "four"), ("name", "four")];
        of_velaux.make("veladatabase-vela-cluster-four", "four", &labels).await?;
        ensure!(stores[0].list().await?.records.len() == 3);
        ensure!(stores[0].get("four").await?.alias == "Prod");
        Ok(())
    })
}

/// The model as the Go driver writes it, which calls fields by their names in lower case.
fn document(name: &str, updated: i64) -> Document {
    doc! {
        "_name": name,
        "basemodel": {
            "createtime": DateTime::from_millis(1_680_646_028_123), "updatetime": DateTime::from_millis(updated),
        },
        "name": name, "alias": "Prod", "description": "of VelaUX", "icon": "", "labels": { "env": "prod" },
        "status": "Unhealthy", "reason": "no",
        "provider": {
            "provider": "", "clusterid": "", "clustername": "", "zone": "", "zoneid": "", "regionid": "", "vpcid": "",
            "labels": Bson::Null,
        },
        "apiserverurl": "https://1.2.3.4:6443", "dashboardurl": "", "kubeconfig": KUBECONFIG, "kubeconfigsecret": "",
        "later": [1],
    }
}

#[test]
fn documents_of_velaux_are_read_and_written_as_it_does() -> Result<()> {
    run(Place::new(StoreType::MongoDb), async |place| {
        let collection = place.collection().await?;
        collection.insert_one(document("prod", 1_680_646_029_500)).await?;
        let store = open(&place).await?;
        let found = store.get("prod").await?;
        is_velaux(&found, "prod")?;
        is(store.add(Record::new("prod")).await, exists)?;
        let seen = found.update_time;
        store.put(Record { alias: "Ours".to_owned(), ..found }, Expect::UpdatedAt(seen)).await?;
        let data = collection.find_one(doc! {"_name": "prod"}).await?.context("prod")?;
        ensure!(data.get_str("kubeconfig")?.is_empty() && data.get_str("alias")? == "Ours", "{data}");
        ensure!(data.get_array("later")?.len() == 1 && !data.to_string().contains("hunter2"), "{data}");

        store.add(Record::new("new")).await?;
        let data = collection.find_one(doc! {"_name": "new"}).await?.context("new")?;
        let mut known: Vec<_> = document("new", 0).keys().map(String::to_owned).collect();
        known.retain(|key| key != "later");
        ensure!(known.iter().all(|key| data.contains_key(key)) && data.len() == known.len() + 1, "{data}");
        ensure!(data.get_document("basemodel")?.get_datetime("createtime").is_ok());
        // VelaUX itself cannot make a second one any more.
        ensure!(collection.insert_one(document("prod", 0)).await.is_err(), "the index is unique");

        collection.insert_one(doc! {"_name": "broken", "name": "broken", "alias": 7}).await?;
        let listing = store.list().await?;
        ensure!(listing.records.len() == 2 && listing.unreadable.len() == 1, "{listing:?}");
        ensure!(listing.unreadable[0].name == "broken" && listing.unreadable[0].cause.contains("alias"));
        Ok(())
    })
}

#[test]
fn documents_that_velaux_has_made_twice_do_no_harm() -> Result<()> {
    run(Place::new(StoreType::MongoDb), async |place| {
        let collection = place.collection().await?;
        let mut later = document("prod", 1_680_646_030_000);
        later.insert("alias", "later");
        for document in [document("prod", 1_680_646_029_500), later, document("prod", 1_680_646_029_600)] {
            collection.insert_one(document).await?;
        }
        let store = open(&place).await?;
        ensure!(store.get("prod").await?.alias == "later");
        let listing = store.list().await?;
        ensure!(listing.records.len() == 1 && listing.records[0].alias == "later", "{listing:?}");
        is(store.add(Record::new("prod")).await, exists)?;
        store.add(Record::new("other")).await?;
        is(open(&place).await?.add(Record::new("other")).await, exists)?;
        store.put(Record { alias: "Ours".to_owned(), ..Record::new("prod") }, Expect::Any).await?;
        ensure!(store.get("prod").await?.alias == "Ours");
        store.delete("prod").await?;
        is(store.get("prod").await, missing)?;
        ensure!(collection.count_documents(doc! {"_name": "prod"}).await? == 0);
        Ok(())
    })
}

/// The table as GORM's AutoMigrate makes it of the model.
const TABLE: &str = r#"CREATE TABLE "vela_cluster" ("createtime" timestamptz,"updatetime" timestamptz,"name" text,"alias" text,
    "description" text,"icon" text,"labels" text,"status" text,"reason" text,"provider" text,"apiserverurl" text,
    "dashboardurl" text,"kubeconfig" text,"kubeconfigsecret" text,PRIMARY KEY ("name"))"#;

#[test]
fn rows_of_velaux_are_read_and_written_as_it_does() -> Result<()> {
    run(Place::new(StoreType::Postgres), async |place| {
        place.prepare().await?;
        let server = Place::postgres(&place.database).await?;
        server.batch_execute(TABLE).await?;
        server
            .execute(
                "INSERT INTO vela_cluster VALUES ('2023-04-05T06:07:08.123456+08:00', '2023-04-05T06:07:09.512345+08:00', \
                 'prod', 'Prod', 'of VelaUX', '', '{\"env\":\"prod\"}', 'Unhealthy', 'no', \
                 '{\"provider\":\"\",\"clusterID\":\"\",\"labels\":null}', 'https://1.2.3.4:6443', '', $1, '')",
                &[&KUBECONFIG],
            )
            .await?;
        // What GORM leaves of maps that nobody has made, and of columns that came later.
        server
            .batch_execute("INSERT INTO vela_cluster (name, labels) VALUES ('least', NULL), ('null', 'null')")
            .await?;
        let store = open(&place).await?;
        let found = store.get("prod").await?;
        is_velaux(&found, "prod")?;
        ensure!(store.get("least").await? == Record::new("least"));
        ensure!(store.get("null").await?.labels.is_empty());
        is(store.add(Record::new("prod")).await, exists)?;
        let seen = found.update_time;
        store.put(Record { reason: String::new(), ..found.clone() }, Expect::UpdatedAt(seen)).await?;
        is(store.put(found, Expect::UpdatedAt(seen)).await, changed)?;
        let row = server
            .query_one("SELECT row_to_json(t)::text FROM vela_cluster t WHERE name = 'prod'", &[])
            .await?;
        let row: Value = serde_json::from_str(row.get(0))?;
        ensure!(
            row["reason"] == "" && row["kubeconfig"] == "" && !row.to_string().contains("hunter2"),
            "{row}"
        );
        ensure!(row["labels"] == "{\"env\":\"prod\"}", "{row}");

        server
            .batch_execute(
                "INSERT INTO vela_cluster (name, labels) VALUES ('broken', '[hunter2'); \
                 INSERT INTO vela_cluster (name, createtime) VALUES ('for-ever', 'infinity'), ('never', '-infinity')",
            )
            .await?;
        let listing = store.list().await?;
        let unreadable: Vec<_> = listing.unreadable.iter().map(|bad| bad.name.as_str()).collect();
        ensure!(unreadable == ["broken", "for-ever", "never"] && listing.records.len() == 3, "{listing:?}");
        is(store.get("never").await, |error| matches!(error, StoreError::Unreadable { .. }))?;
        store.put(Record::new("broken"), Expect::Any).await?;
        ensure!(store.list().await?.records.len() == 4);
        Ok(())
    })
}

#[test]
fn a_table_of_an_older_velaux_gets_the_columns_that_it_lacks() -> Result<()> {
    run(Place::new(StoreType::Postgres), async |place| {
        place.prepare().await?;
        let server = Place::postgres(&place.database).await?;
        server
            .batch_execute(
                "CREATE TABLE vela_cluster (name varchar(256) PRIMARY KEY, alias text); \
                            INSERT INTO vela_cluster VALUES ('prod', 'Prod')",
            )
            .await?;
        let store = open(&place).await?;
        ensure!(store.get("prod").await? == Record { alias: "Prod".to_owned(), ..Record::new("prod") });
        store.put(Record { reason: "no".to_owned(), ..Record::new("prod") }, Expect::Any).await?;
        ensure!(store.get("prod").await?.reason == "no");
        // Somebody drops the table: it is made again, in time.
        server.batch_execute("DROP TABLE vela_cluster").await?;
        is(store.get("prod").await, super::unavailable)?;
        is(store.get("prod").await, missing)?;
        Ok(())
    })
}
