use super::*;

struct Nowhere;
impl Surroundings for Nowhere {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }
    fn package_share(&self, _package: &str) -> Option<PathBuf> {
        None
    }
}

fn launch(files: &[(&str, &str)], given: &[(&str, &str)]) -> Result<Launch, LaunchError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let given = given
        .iter()
        .map(|(n, v)| ((*n).to_string(), (*v).to_string()))
        .collect();
    evaluate(&dir.path().join(files[0].0), &given, &Nowhere)
}

fn ros(p: &Process) -> String {
    p.arguments.join(" ")
}

#[test]
fn a_node_gets_the_arguments_that_ros2_launch_gives() {
    let l = launch(
        &[
            (
                "a.xml",
                r#"<launch>
                <arg name="speed" default="2" description="m/s"/>
                <let name="twice" value="$(var speed)$(var speed)"/>
                <group>
                  <push-ros-namespace namespace="r1"/>
                  <set_env name="A" value="1"/>
                  <node pkg="p" exec="e" name="n" namespace="in" args="--x 'y z'" output="screen" respawn="false" on_exit="shutdown">
                    <param from="$(dirname)/f.yaml"/>
                    <param name="speed" value="$(var twice)"/>
                    <param name="word" value="$(var speed)" type="str"/>
                    <param name="real" value="$(var speed)" type="float"/>
                    <param name="none" value=""/>
                    <remap from="a" to="b"/>
                    <env name="B" value="2"/>
                  </node>
                </group>
                <node pkg="p" exec="later"/>
                <node pkg="p" exec="never" if="false"/>
                <node pkg="p" exec="never" unless="1"/>
                <executable cmd="echo 'a b' c" name="talk"/>
              </launch>"#,
            ),
            ("f.yaml", ""),
        ],
        &[("speed", "3")],
    )
    .unwrap();
    assert_eq!(l.processes.len(), 3);
    let n = &l.processes[0];
    assert_eq!(n.label, "n");
    assert!(n.on_exit_shutdown);
    assert_eq!(n.arguments[1], "y z");
    let text = ros(n);
    for words in [
        "--x y z --ros-args -r __node:=n -r __ns:=/r1/in --params-file /",
        "-p speed:=33",
        "-p word:='3'",
        "-p real:=3.0",
        "-p none:=''",
        "-r a:=b",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(n.env["A"], "1");
    assert_eq!(n.env["B"], "2");
    assert_eq!(ros(&l.processes[1]), "");
    assert!(l.processes[1].env.is_empty());
    assert_eq!(
        l.processes[2].what,
        What::Command(vec!["echo".into(), "a b".into(), "c".into()])
    );
    assert_eq!(l.arguments[0].description, "m/s");
}

#[test]
fn includes_take_arguments_and_keep_their_variables_to_themselves() {
    let l = launch(
        &[
            (
                "a.xml",
                r#"<launch><arg name="x" default="1"/>
                <include file="$(dirname)/b.xml"><arg name="y" value="$(var x)2"/></include></launch>"#,
            ),
            (
                "b.xml",
                r#"<launch><arg name="y"/><arg name="z" default="9"/><node pkg="p" exec="e$(var y)$(var z)"/></launch>"#,
            ),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(l.processes[0].label, "e129");
}

#[test]
fn what_is_not_in_the_subset_is_refused_with_file_and_line() {
    for (body, words) in [
        ("<composable_node/>", "<composable_node> inside <launch>"),
        (
            "<node pkg='p' exec='e' launch-prefix='gdb'/>",
            "launch-prefix",
        ),
        ("<node pkg='p'/>", "\"exec\""),
        ("<node pkg='p' exec='e' respawn='true'/>", "respawn"),
        ("<node pkg='p' exec='e' if='maybe'/>", "maybe"),
        ("<node pkg='p' exec='e' if='1' unless='1'/>", "both"),
        ("<node pkg='p' exec='e' on_exit='dance'/>", "dance"),
        ("<node pkg='p' exec='e' output='paper'/>", "paper"),
        ("<node pkg='p' exec='$(eval 1)'/>", "eval"),
        (
            "<node pkg='p' exec='e'><param from='/no/file'/></node>",
            "/no/file",
        ),
        (
            "<node pkg='p' exec='e'><param name='a'/></node>",
            "\"value\"",
        ),
        (
            "<node pkg='p' exec='e'><param name='a' value='x' type='int'/></node>",
            "whole number",
        ),
        ("<node pkg='p' exec='e'><lifecycle/></node>", "lifecycle"),
        ("<arg name='a'/>", "a:=VALUE"),
        ("<include file='/no/such.xml'/>", "/no/such.xml"),
        ("<include file='$(dirname)/a.xml'/>", "includes itself"),
        ("<executable cmd=''/>", "empty"),
    ] {
        let text = format!("<launch>\n{body}\n</launch>");
        let message = launch(&[("a.xml", &text)], &[]).unwrap_err().to_string();
        let words = if words == "includes itself" {
            "include itself"
        } else {
            words
        };
        assert!(
            message.contains(words) && message.contains("a.xml:2"),
            "{body}: {message}"
        );
    }
    let message = launch(&[("a.xml", "<launch/>")], &[("b", "1")])
        .unwrap_err()
        .to_string();
    assert!(message.contains("no argument \"b\""), "{message}");
}
