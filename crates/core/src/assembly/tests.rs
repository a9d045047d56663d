use super::*;
use belvedere_lake::Routes;
use belvedere_view::decoder::{BlockReader, DecodeError, Rows};
use belvedere_view::{
    BlockParserRegistration, BlockSource, BlockSourceRegistration, Column, ColumnType, EventField,
    EventLayout, Instances, Item, Registration, SqlSource, ViewSet,
};
use proptest::prelude::*;

#[derive(Debug)]
struct Nothing;

impl belvedere_view::decoder::BlockDecoder for Nothing {
    fn decode(&self, _: &BlockReader<'_>, _: &mut Rows<'_>) -> Result<usize, DecodeError> {
        Ok(0)
    }
}

static VIEW_INSTANCE: Functions = Functions::new(&[SqlFunction::table("view_instance()", |_| {
    unreachable!("nothing is made for an assembly")
})]);

static ROUTES: Routes<()> = Routes::new("x", |_| belvedere_lake::axum::Router::new());

const TIME: Column = Column::time("time", "when").event_time();
const COLUMNS: &[Column] = &[Column::process_id(), TIME];

fn registration(crate_name: &'static str, item: Item) -> &'static Registration {
    Box::leak(Box::new(Registration::new(crate_name, "1.2.3", item)))
}

fn view_set(
    crate_name: &'static str,
    name: &'static str,
    depends_on: &'static [&'static str],
) -> &'static Registration {
    view_set_of(crate_name, name, depends_on, COLUMNS)
}

fn view_set_of(
    crate_name: &'static str,
    name: &'static str,
    depends_on: &'static [&'static str],
    columns: &'static [Column],
) -> &'static Registration {
    let set = ViewSet::new(name)
        .about("a test")
        .columns(columns)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(depends_on)
        .blocks(BlockSource::transit("test", &Nothing))
        .example("SELECT 1");
    registration(crate_name, Item::ViewSet(set))
}

/// A source of blocks of a format of its own.
fn source(
    crate_name: &'static str,
    view_set: &'static str,
    columns: &'static [Column],
    format: &'static str,
) -> &'static Registration {
    let source = BlockSource::new(format, "test", &Nothing);
    registration(crate_name, Item::BlockSource(BlockSourceRegistration::new(view_set, columns, source)))
}

/// A query over `b`.
fn query(instances: Instances, depends_on: &'static [&'static str]) -> &'static Registration {
    let set = ViewSet::new("a")
        .about("a test")
        .columns(COLUMNS)
        .instances(instances)
        .depends_on(depends_on)
        .query("SELECT * FROM b")
        .example("SELECT 1");
    registration("zoo", Item::ViewSet(set))
}

/// `b`, which has tables of streams.
fn of_streams() -> &'static Registration {
    let set = ViewSet::new("b")
        .about("a test")
        .columns(COLUMNS)
        .instances(Instances::PerStream)
        .blocks(BlockSource::transit("test", &Nothing))
        .example("SELECT 1");
    registration("farm", Item::ViewSet(set))
}

fn names(assembly: &Assembly) -> Vec<&'static str> {
    assembly.view_sets().map(|s| s.name).collect()
}

fn error(registrations: &[&'static Registration]) -> String {
    Assembly::new(registrations.iter().copied()).unwrap_err().to_string()
}

#[test]
fn view_sets_come_after_what_they_depend_on_and_ties_by_name() {
    let all = [
        view_set("a", "zebra", &[]),
        view_set("b", "stats", &["log"]),
        view_set("c", "log", &["zebra", "ant"]),
        view_set("d", "ant", &[]),
        view_set("d", "bee", &[]),
    ];
    let assembly = Assembly::new(all).unwrap();
    assert_eq!(names(&assembly), ["ant", "bee", "zebra", "log", "stats"]);
}

proptest! {
    #[test]
    fn every_order_of_registrations_gives_the_same_assembly(
        // core's own and four more
        order in Just((0..crate::registrations().len() + 4).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut all = crate::registrations();
        all.push(view_set("third", "images", &["processes", "blocks"]));
        all.push(view_set("third", "frames", &["images"]));
        all.push(source("fourth", "images", const { &[TIME] }, "other"));
        all.push(source("fifth", "images", const { &[TIME] }, "another"));
        let describe = |assembly: &Assembly| {
            let formats = |set| assembly.sources(set).iter().map(|s| s.format).collect::<Vec<_>>();
            format!("{:?} {:?} {:?}", names(assembly), formats("images"), assembly.crates())
        };
        let expected = describe(&Assembly::new(all.iter().copied()).unwrap());
        let shuffled = order.iter().map(|i| all[*i]);
        prop_assert_eq!(describe(&Assembly::new(shuffled).unwrap()), expected);
    }
}

#[test]
fn leaving_a_crate_out_leaves_its_view_sets_out_and_nothing_else() {
    let mut all = crate::registrations();
    let without: Vec<String> = describe(&all);
    all.push(view_set("third", "images", &["processes", "blocks"]));
    let with: Vec<String> = describe(&all);
    let gone: Vec<&String> = with.iter().filter(|d| !without.contains(d)).collect();
    assert_eq!(gone.len(), 1);
    assert!(gone[0].starts_with("images"));
    assert!(without.iter().all(|d| with.contains(d)));
}

fn describe(registrations: &[&'static Registration]) -> Vec<String> {
    let assembly = Assembly::new(registrations.iter().copied()).unwrap();
    assembly.view_sets().map(|s| format!("{} {:?} {:?}", s.name, s.columns, s.schema_hash())).collect()
}

#[test]
fn the_very_same_registration_twice_counts_once() {
    let images = view_set("third", "images", &[]);
    assert_eq!(names(&Assembly::new([images, images]).unwrap()), ["images"]);
}

#[test]
fn registrations_that_do_not_fit_together_say_who_has_to_change_what() {
    let core = crate::registrations();
    let with = |more: &[&'static Registration]| {
        let mut all = core.clone();
        all.extend(more);
        error(&all)
    };
    let filled = |columns| with(&[view_set("zoo", "a", &[]), source("farm", "a", columns, "farm/v1")]);
    let messages = [
        ("duplicate", with(&[view_set("zoo", "blocks", &[])])),
        ("twice in one crate", with(&[view_set("zoo", "images", &[]), view_set("zoo", "images", &[])])),
        ("missing", with(&[view_set("zoo", "frames", &["thread_span", "blocks"])])),
        ("near", with(&[view_set("zoo", "frames", &["process"])])),
        (
            "cycle",
            with(&[
                view_set("zoo", "a", &["b", "blocks"]),
                view_set("farm", "b", &["c"]),
                view_set("farm", "c", &["a"]),
                view_set("farm", "d", &["c"]),
            ]),
        ),
        ("itself", with(&[view_set("zoo", "a", &["a"])])),
        ("source without view set", with(&[source("zoo", "log_entries", &[], "zoo/v1")])),
        (
            "source for a view set that is not made from blocks",
            with(&[source("zoo", "streams", &[], "zoo/v1")]),
        ),
        ("query over tables of another kind", with(&[query(Instances::PerProcess, &["b"]), of_streams()])),
        ("query of a kind that nothing has", with(&[query(Instances::PerStream, &["blocks"])])),
        ("query that does not say what it reads", with(&[query(Instances::PerStream, &[]), of_streams()])),
        (
            "kept over what is not kept",
            with(&[
                query(Instances::PerStream, &["b"]),
                of_streams(),
                registration(
                    "zoo",
                    Item::ViewSet(
                        ViewSet::new("c")
                            .about("a test")
                            .columns(COLUMNS)
                            .depends_on(&["a"])
                            .sql(
                                SqlSource::new("SELECT * FROM a")
                                    .merge("SELECT * FROM partials")
                                    .sort(&["time"]),
                            )
                            .example("SELECT 1"),
                    ),
                ),
            ]),
        ),
        ("name of the engine's", with(&[view_set("zoo", "partials", &[])])),
        ("unknown column", filled(const { &[TIME, Column::int64("size", "how much")] })),
        ("column of core", filled(const { &[TIME, Column::process_id()] })),
        ("forgotten column", filled(&[])),
        ("column of another type", filled(const { &[Column::of_another_crate("time", ColumnType::Int64)] })),
        (
            "column twice",
            with(&[view_set_of(
                "zoo",
                "a",
                &[],
                const { &[Column::int32("a", "one"), Column::int64("a", "two")] },
            )]),
        ),
        ("function twice", with(&[registration("zoo", Item::Extension(&VIEW_INSTANCE))])),
        (
            "another version",
            error(&[Box::leak(Box::new(
                // a number that no release has
                Registration::new("zoo", "0.0.1", Item::Extension(&ROUTES)).with_api_version(1_000_000),
            ))]),
        ),
        (
            "nothing registered",
            Assembly::expecting(core.iter().copied(), &["belvedere-core", "zoo"]).unwrap_err().to_string(),
        ),
    ];
    let text: Vec<String> = messages.iter().map(|(case, message)| format!("{case}:\n  {message}")).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_schema_hash_follows_columns_and_version_only() {
    let hash = |r: &'static Registration| match &r.item {
        Item::ViewSet(set) => set.schema_hash(),
        _ => Vec::new(),
    };
    let a = hash(view_set("a", "images", &[]));
    assert_eq!(a.len(), 16);
    assert_eq!(a, hash(view_set("b", "images", &["blocks"])));
    assert_ne!(a, hash(view_set("a", "pictures", &[])));
    const OTHER: &[Column] = &[Column::process_id(), Column::time("time", "when").event_time().nullable()];
    assert_ne!(a, hash(view_set_of("a", "images", &[], OTHER)));
}

#[tokio::test]
async fn a_factory_makes_instances_and_names_what_is_near() {
    let lake = crate::fixture::lake().await;
    let runtime = std::sync::Arc::new(datafusion::execution::runtime_env::RuntimeEnv::default());
    let core = Assembly::new(crate::registrations()).unwrap();
    let mut factory = view_factory(&core, runtime, lake.connection().clone()).unwrap();
    assert_eq!(
        factory.get_global_views().iter().map(|v| v.get_view_set_name()).collect::<Vec<_>>(),
        ["blocks", "processes", "streams"]
    );
    let maker = factory.get_view_sets()["blocks"].clone();
    assert!(factory.add_view_set("blocks".to_owned(), maker.clone()).is_err());
    assert_eq!(maker.get_schema().field(0).name(), "block_id");
    let message = factory.make_view("proceses", "global").unwrap_err().to_string();
    assert_eq!(message, "view set proceses not found; did you mean processes?");
    assert!(factory.get_global_view("blocks").is_some());
    assert!(factory.get_global_view("nope").is_none());
}

#[test]
fn a_format_has_one_parser() {
    let parser = |crate_name| {
        registration(crate_name, Item::BlockParser(BlockParserRegistration::new("tape", |_, _| Ok(()))))
    };
    let assembly = Assembly::new([parser("a")]).unwrap();
    assert!(assembly.parser("tape").is_some() && assembly.parser("disc").is_none());
    let error = error(&[parser("b"), parser("a")]);
    assert!(error.contains("the parser of blocks 'tape' is registered by a and by b"), "{error}");
}

#[test]
fn a_type_of_events_has_one_layout_whoever_registers_it() {
    const LAYOUT: EventLayout = EventLayout::new("TickEvent", &[EventField::text("msg")]);
    const OTHER: EventLayout = EventLayout::new("TockEvent", &[EventField::blob("data")]);
    let layout = |crate_name, layout| registration(crate_name, Item::EventLayout(layout));
    let assembly = Assembly::new([layout("a", LAYOUT), layout("b", OTHER)]).unwrap();
    assert_eq!(assembly.layouts().get("TickEvent"), Some(&LAYOUT));
    assert!(assembly.layouts().get("ClickEvent").is_none());
    for second in ["a", "b"] {
        // the same fields too: who takes a crate out must not take the layout of another with it
        let error = error(&[layout(second, LAYOUT), layout("a", LAYOUT)]);
        let expected = format!("the layout of events 'TickEvent' is registered by a and by {second}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_function_without_description_or_with_another_name_is_refused() {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
    fn erase(_: &crate::query::QueryContext) -> ScalarUDF {
        let nothing = std::sync::Arc::new(|_: &[ColumnarValue]| {
            Ok(ColumnarValue::Scalar(datafusion::scalar::ScalarValue::Null))
        });
        create_udf("erase", vec![], DataType::Null, Volatility::Volatile, nothing)
    }
    const SUM: fn(&crate::query::QueryContext) -> datafusion::logical_expr::AggregateUDF =
        |_| (*datafusion::functions_aggregate::sum::sum_udaf()).clone();
    let cases: [(&'static [SqlFunction], &str); 4] = [
        (const { &[SqlFunction::scalar("erase()", erase).about("a test")] }, ""),
        (
            const { &[SqlFunction::scalar("erase()", erase)] },
            "'erase' of zoo is not valid: it has no description",
        ),
        (
            const { &[SqlFunction::scalar("earse()", erase).about("a test")] },
            "its implementation is called 'erase'",
        ),
        (
            const { &[SqlFunction::aggregate("total(n)", SUM).about("a test")] },
            "its implementation is called 'sum'",
        ),
    ];
    for (functions, expected) in cases {
        let functions = registration("zoo", Item::Extension(Box::leak(Box::new(Functions::new(functions)))));
        let assembly = Assembly::new(crate::registrations().into_iter().chain([functions])).unwrap();
        let options = belvedere_lake::LakeOptions::in_memory();
        let made = crate::Lake::assemble(&options, assembly, crate::LakeConfig::default()).await;
        let error = made.err().map(|e| format!("{e}")).unwrap_or_default();
        assert!(if expected.is_empty() { error.is_empty() } else { error.contains(expected) }, "{error}");
    }
}
