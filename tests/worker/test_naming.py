from channels_bridge.worker.naming import name_of


class Named:
    class Inner:
        pass


def test_an_object_has_the_name_of_its_class_and_a_function_its_own() -> None:
    assert name_of(Named()) == "Named"
    assert name_of(Named.Inner()) == "Named.Inner"
    assert name_of(Named) == "Named"
    assert name_of(name_of) == "name_of"
